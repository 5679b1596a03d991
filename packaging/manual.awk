# lifeboat-archive(5) from the pages of docs/ that it consists of, so that each text stands in one place:
#
#   awk -f manual.awk -v name=… -v section=… -v what=… -v date=… -v version=… -v see=… a.md b.md …
#
# The Markdown that is understood is what those pages use: headings, paragraphs, lists, tables, fenced
# blocks, `code`, **bold**, *italic*, links. A page's title becomes a section. A row of a table becomes an
# item: the first cell is its term, cells between follow in parentheses, the last one is the meaning.

# Text as roff prints it: a dash is a minus, so that commands can be copied.
function plain(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	gsub(/'/, "\\(aq", s)
	gsub(/`/, "\\(ga", s)
	gsub(/\^/, "\\(ha", s)
	gsub(/~/, "\\(ti", s)
	gsub(/…/, "...", s)
	gsub(/×/, "x", s)
	return s
}

# A link is its text; a page that is part of this manual is named by its title.
function links(s,    rest, text, target) {
	while (match(s, /\[[^]]*\]\([^)]*\)/)) {
		rest = substr(s, RSTART + RLENGTH)
		text = target = substr(s, RSTART + 1, RLENGTH - 2)
		sub(/\]\(.*/, "", text)
		sub(/.*\]\(/, "", target)
		sub(/#.*/, "", target)
		if (text == target)
			text = target in titles ? toupper(titles[target]) : "docs/" target
		s = substr(s, 1, RSTART - 1) text rest
	}
	return s
}

# Between backquotes everything is code.
function inline(s,    piece, n, i, out, words, m, j) {
	n = split(links(s), piece, "`")
	for (i = 1; i <= n; i++) {
		if (i % 2 == 0) {
			out = out "\\fB" plain(piece[i]) "\\fR"
			continue
		}
		gsub(/\*\*/, "*", piece[i])
		m = split(piece[i], words, "*")
		for (j = 1; j <= m; j++)
			out = out (j % 2 == 0 ? "\\fI" plain(words[j]) "\\fR" : plain(words[j]))
	}
	return out
}

# A line of filled text, cut at spaces, and never taken for a request.
function put(s,    n, words, i, line) {
	n = split(s, words, " ")
	for (i = 1; i <= n; i++) {
		if (line != "" && length(line) + length(words[i]) > 75) {
			print line
			line = ""
		}
		if (line == "")
			line = words[i] ~ /^[.]/ ? "\\&" words[i] : words[i]
		else
			line = line " " words[i]
	}
	if (line != "")
		print line
}

# The paragraph or item that was gathered so far.
function flush() {
	if (text != "") {
		if (!item && !fresh)
			print ".PP"
		put(inline(text))
		fresh = 0
	}
	text = ""
	item = 0
}

function row(line,    n, cells, i, term) {
	gsub(/\\\|/, "\001", line)
	n = split(substr(line, 3, length(line) - 3), cells, / \| /)
	for (i = 1; i <= n; i++)
		gsub(/\001/, "|", cells[i])
	while (n > 2 && cells[n] ~ /^ *$/)
		n--
	term = cells[1]
	for (i = 2; i < n; i++)
		term = term (cells[i] == "" ? "" : " (" cells[i] ")")
	print ".TP\n" inline(term)
	put(inline(cells[n]))
	fresh = 0
}

BEGIN {
	for (i = 1; i < ARGC; i++) {
		getline line < ARGV[i]
		close(ARGV[i])
		sub(/^# /, "", line)
		file = ARGV[i]
		sub(/.*\//, "", file)
		titles[file] = line
	}
	print ".TH " toupper(name) " " section " \"" date "\" \"Lifeboat " version "\""
	print ".nh\n.ad l\n.SH NAME"
	print plain(name) " \\- " plain(what)
}

/^```/ {
	flush()
	code = !code
	print code ? (fresh ? "" : ".PP\n") ".RS 4\n.nf" : ".fi\n.RE"
	fresh = 0
	next
}
code {
	line = plain($0)
	print (line ~ /^[.]/ ? "\\&" : "") line
	next
}
/^# / {
	flush()
	print ".SH \"" toupper(plain(substr($0, 3))) "\""
	fresh = 1
	next
}
/^##+ / {
	flush()
	sub(/^#+ /, "")
	gsub(/`/, "")
	print ".SS \"" plain($0) "\""
	fresh = 1
	next
}
# A table begins below the line under its head; the head is left out.
/^\|[-|]+\|$/ {
	table = 1
	next
}
/^\| / && !table {
	flush()
	next
}
/^\| / {
	row($0)
	next
}
/^(- |[0-9]+\. )/ {
	flush()
	match($0, /^[^ ]+ /)
	print ".IP " (/^-/ ? "\\(bu" : "\"" substr($0, 1, RLENGTH - 1) "\"") " 4"
	text = substr($0, RLENGTH + 1)
	item = 1
	fresh = 0
	next
}
/^$/ {
	flush()
	table = 0
	next
}
{
	sub(/^ +/, "")
	text = text (text == "" ? "" : " ") $0
}

END {
	flush()
	print ".SH SEE ALSO"
	put(plain(see))
}
