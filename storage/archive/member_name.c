#include "storage/archive/member_name.h"

#include <stdlib.h>
#include <string.h>

const char *member_name_fault(const char *name)
{
	if (*name == '\0')
		return "is empty";
	if (*name == '/')
		return "begins with '/'";
	if (strlen(name) > MEMBER_NAME_MAX)
		return "is longer than 1024 bytes";
	for (const char *p = name;;) {
		size_t n = strcspn(p, "/");
		if (n == 0)
			return "has an empty component";
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return "has '..' in it";
		if (n == 1 && p[0] == '.' && (p[1] == '/' || p == name))
			return "has a component '.'";
		if (p[n] == '\0')
			return NULL;
		p += n + 1;
	}
}

int member_name_clean(const char *name, char **ret, struct err *err)
{
	CLEANUP(freep) char *clean = NULL;
	if (str_dup(name, &clean, err) < 0)
		return -1;
	char *out = clean;
	for (const char *p = name; *p != '\0';) {
		if (p[0] == '.' && p[1] == '/' && p[2] != '\0') {
			p += 2;
			continue;
		}
		size_t n = strcspn(p, "/");
		n += p[n] == '/';
		memmove(out, p, n);
		out += n;
		p += n;
	}
	if (out > clean + 1 && out[-1] == '/')
		out--;
	*out = '\0';
	const char *fault = member_name_fault(clean);
	char shown[MEMBER_NAME_SHOWN_BYTES];
	if (fault != NULL)
		return err_set(err, ERR_FAILED, "the member name '%s' %s",
			       member_name_shown(name, shown), fault);
	*ret = clean;
	clean = NULL;
	return 0;
}

char *member_name_shown(const char *name, char out[MEMBER_NAME_SHOWN_BYTES])
{
	size_t n = strnlen(name, MEMBER_NAME_SHOWN_BYTES);
	bool cut = n >= MEMBER_NAME_SHOWN_BYTES;
	if (cut)
		n = MEMBER_NAME_SHOWN_BYTES - 4;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];
		out[i] = c < 0x20 || c == 0x7F ? '?' : name[i];
	}
	memcpy(out + n, "...", cut ? 4 : 0);
	if (!cut)
		out[n] = '\0';
	return out;
}
