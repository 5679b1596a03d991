/* Keys of age as text and in files. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/flow/age_impl.h"

enum { KEY_FILE_MAX_BYTES = 64 << 10 };

static const char recipient_hrp[] = "age", identity_hrp[] = "age-secret-key-";

static bool begins_with(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* One more key, unless it is there already. */
static int add_key(uint8_t (**keys)[AGE_KEY_BYTES], size_t *count, const uint8_t *key,
		   const char *what, struct err *err)
{
	for (size_t i = 0; i < *count; i++)
		if (CRYPTO_memcmp((*keys)[i], key, AGE_KEY_BYTES) == 0)
			return 0;
	if (*count >= AGE_RECIPIENTS_MAX)
		return err_set(err, ERR_LIMIT, "there are more than %d %s", AGE_RECIPIENTS_MAX,
			       what);
	/* Not realloc, which would leave a secret where it was. */
	uint8_t(*more)[AGE_KEY_BYTES] = mem_zalloc((*count + 1) * AGE_KEY_BYTES, what, err);
	if (more == NULL)
		return -1;
	if (*count > 0) {
		memcpy(more, *keys, *count * AGE_KEY_BYTES);
		OPENSSL_cleanse(*keys, *count * AGE_KEY_BYTES);
	}
	memcpy(more[*count], key, AGE_KEY_BYTES);
	free(*keys);
	*keys = more;
	++*count;
	return 0;
}

static void done(uint8_t (**keys)[AGE_KEY_BYTES], size_t *count)
{
	if (*keys != NULL)
		OPENSSL_cleanse(*keys, *count * AGE_KEY_BYTES);
	free(*keys);
	*keys = NULL;
	*count = 0;
}

/* ---- recipients ---- */

void age_recipients_done(struct age_recipients *r)
{
	done(&r->keys, &r->count);
}

static int no_recipient(const char *text, struct err *err)
{
	if (begins_with(text, identity_hrp)) {
		err_set(err, ERR_CONFIG, "a private key stands where a recipient belongs");
		return err_hint(err,
				"Write its public key, which begins with age1: 'age-keygen -y' "
				"prints it. The private key only opens archives.");
	}
	if (begins_with(text, "ssh-")) {
		err_set(err, ERR_CONFIG, "a recipient is an ssh key, which is not read");
		return err_hint(err, "'lifeboat keygen' makes a key of age's own.");
	}
	err_set(err, ERR_CONFIG, "'%.80s' is no recipient of age", text);
	if (begins_with(text, "age1") && strlen(text) != AGE_RECIPIENT_BYTES - 1)
		return err_hint(err,
				"It has %zu characters instead of %d. Keys of plugins are not "
				"read.",
				strlen(text), AGE_RECIPIENT_BYTES - 1);
	if (begins_with(text, "age1"))
		return err_hint(err, "Its checksum does not fit: look for a typing error.");
	return err_hint(err, "A recipient begins with age1. 'lifeboat keygen' makes one.");
}

int age_recipients_add(struct age_recipients *r, const char *text, struct err *err)
{
	/* Any key does for finding out whether the recipient is of low order. */
	static const uint8_t some_key[AGE_KEY_BYTES] = {1};
	uint8_t key[AGE_KEY_BYTES], shared[AGE_KEY_BYTES];
	if (!age_bech32_key(text, recipient_hrp, key) || text[0] != 'a')
		return no_recipient(text, err);
	if (age_shared_secret(some_key, key, shared, err) < 0)
		return err->code == ERR_CORRUPT
			   ? err_set(err, ERR_CONFIG, "'%s' is a key that protects nothing", text)
			   : -1;
	return add_key(&r->keys, &r->count, key, "recipients", err);
}

void age_recipient_text(const uint8_t key[AGE_KEY_BYTES], char ret[AGE_RECIPIENT_BYTES])
{
	age_bech32_encode(recipient_hrp, key, ret);
}

/* ---- identities ---- */

void age_identities_done(struct age_identities *i)
{
	done(&i->keys, &i->count);
}

/* Never shows the text. */
static int no_identity(const char *text, struct err *err)
{
	if (begins_with(text, "age1")) {
		err_set(err, ERR_CONFIG, "a public key stands where an identity belongs");
		return err_hint(err, "An identity begins with AGE-SECRET-KEY-1.");
	}
	if (begins_with(text, "age-plugin-")) {
		err_set(err, ERR_CONFIG, "an identity is of a plugin, which is not read");
		return err_hint(err, "Decrypt the archive with 'age -d' and its plugin.");
	}
	if (begins_with(text, "age-encryption.org/") || begins_with(text, AGE_ARMOUR_LINE)) {
		err_set(err, ERR_CONFIG, "the identity is itself encrypted with a passphrase");
		return err_hint(err, "'age -d' opens it; keep the result in memory (/dev/shm).");
	}
	if (begins_with(text, "-----BEGIN ")) {
		err_set(err, ERR_CONFIG, "the identity is an ssh key, which is not read");
		return err_hint(err, "Decrypt the archive with 'age -d -i'.");
	}
	err_set(err, ERR_CONFIG, "a line is no identity of age");
	return err_hint(err,
			"An identity is AGE-SECRET-KEY-1 and 58 more characters, all upper-case "
			"or all lower-case. 'lifeboat keygen' makes one.");
}

int age_identities_add(struct age_identities *i, const char *text, struct err *err)
{
	uint8_t key[AGE_KEY_BYTES];
	if (!age_bech32_key(text, identity_hrp, key))
		return no_identity(text, err);
	int rc = add_key(&i->keys, &i->count, key, "identities", err);
	OPENSSL_cleanse(key, sizeof key);
	return rc;
}

int age_identity_recipient(const uint8_t identity[AGE_KEY_BYTES], uint8_t ret[AGE_KEY_BYTES],
			   struct err *err)
{
	return age_public_key(identity, ret, err);
}

int age_keygen(char identity[AGE_IDENTITY_BYTES], char recipient[AGE_RECIPIENT_BYTES],
	       struct err *err)
{
	uint8_t key[AGE_KEY_BYTES], its_public[AGE_KEY_BYTES];
	if (age_random(key, sizeof key, err) < 0 || age_public_key(key, its_public, err) < 0)
		return -1;
	age_bech32_encode(identity_hrp, key, identity);
	for (char *p = identity; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	age_recipient_text(its_public, recipient);
	OPENSSL_cleanse(key, sizeof key);
	return 0;
}

/* ---- files of them ---- */

static void wiped(struct buf *b)
{
	if (b->data != NULL)
		OPENSSL_cleanse(b->data, b->cap);
	buf_done(b);
}

static int add_line(void *to, const char *line, bool secret, struct err *err)
{
	return secret ? age_identities_add(to, line, err) : age_recipients_add(to, line, err);
}

/* Each line that is neither empty nor a comment; at least one. Cuts the text into its lines. */
static int add_lines(void *to, char *text, bool secret, struct err *err)
{
	size_t keys = 0;
	unsigned number = 0;
	for (char *line = text, *next; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		size_t len = strlen(line);
		if (len > 0 && line[len - 1] == '\r')
			line[--len] = '\0';
		number++;
		if (len == 0 || line[0] == '#')
			continue;
		if (add_line(to, line, secret, err) < 0)
			return err_wrap(err, "line %u", number);
		keys++;
	}
	if (keys > 0)
		return 0;
	return err_set(err, ERR_CONFIG, "there is no key in it");
}

static int add_file(void *to, const char *path, bool secret, struct err *err)
{
	CLEANUP(wiped) struct buf text;
	buf_init(&text, KEY_FILE_MAX_BYTES);
	/* All of it at once: a buffer that grows leaves copies behind. */
	if (buf_reserve(&text, KEY_FILE_MAX_BYTES, err) < 0)
		return -1;
	if (file_read_all(path, &text, err) < 0)
		return -1;
	if (buf_append(&text, "", 0, err) < 0 || strlen(buf_text(&text)) != text.len)
		return err_set(err, ERR_CONFIG, "'%s': it is no text", path);
	return add_lines(to, (char *)text.data, secret, err) < 0 ? err_wrap(err, "'%s'", path) : 0;
}

int age_identities_add_text(struct age_identities *i, const char *text, struct err *err)
{
	char *lines;
	if (str_dup(text, &lines, err) < 0)
		return -1;
	int rc = add_lines(i, lines, true, err);
	OPENSSL_cleanse(lines, strlen(text));
	free(lines);
	return rc;
}

int age_recipients_add_file(struct age_recipients *r, const char *path, struct err *err)
{
	return add_file(r, path, false, err);
}

int age_identities_add_file(struct age_identities *i, const char *path, bool *ret_open,
			    struct err *err)
{
	struct stat st;
	if (add_file(i, path, true, err) < 0)
		return -1;
	if (ret_open != NULL)
		*ret_open = stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0;
	return 0;
}
