/*
 * Some of the published test vectors of age (the Community Cryptography Test Vectors, folder age;
 * their licence is CC0): those of X25519 recipients that are short. All are of one identity, and
 * what opens gives the text below.
 */
#ifndef LIFEBOAT_TESTS_AGE_VECTORS_H
#define LIFEBOAT_TESTS_AGE_VECTORS_H

#include "base/err.h"

#define AGE_VECTOR_IDENTITY                                                                        \
	"AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"

struct age_vector {
	const char *name;
	enum err_code expect; /* ERR_NONE: it opens */
	const char *text;     /* the file's beginning */
	const char *tail;     /* the rest, in hexadecimal */
};

static const struct age_vector age_vectors[] = {
    {"x25519", ERR_NONE,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"x25519_grease", ERR_NONE,
     "age-encryption.org/v1\n"
     "-> grease\n"
     "\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "-> grease\n"
     "\n"
     "--- QIfAOEMt1fGOf2FP2m3+TwFQtfy2H3sX3YqUAQRApkM\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"x25519_multiple_recipients", ERR_NONE,
     "age-encryption.org/v1\n"
     "-> X25519 ajtqAvDEkVNr2B7zUOtq2mAQXDSBlNrVAuM/dKb5sT4\n"
     "0evrK/HQXVsQ4YaDe+659l5OQzvAzD2ytLGHQLQiqxg\n"
     "-> X25519 0qC7u6AbLxuwnM8tPFOWVtWZn/ZZe7z7gcsP5kgA0FI\n"
     "Y3OzevLm23Vx7PN9k33F9y+ercWe/bcZJLqhqA3h408\n"
     "--- 855pKblQzZ3oabDowxRDQvSj/xo47ZSh5WTjkmK0I0U\n",
     "f0b818be0f355442399920ad8084964b6f95c36db35e4f59d8f89e3cf26f2d1fa54213"},
    {"stanza_valid_characters", ERR_NONE,
     "age-encryption.org/v1\n"
     "-> !\"#$%&' ()*+,-./ 01234567 89:;<=>? @ABCDEFG HIJKLMNO\n"
     "\n"
     "-> PQRSTUVW XYZ[\\]^_ `abcdefg hijklmno pqrstuvw xyz{|}~\n"
     "\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- qcNy6mAn80JKuXPUW7ANJdOhzbOtVSsIGM12i5B4vx4\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"stanza_empty_last_line", ERR_NONE,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "-> stanza\n"
     "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
     "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
     "\n"
     "--- D0Uu/whYjf/Cwqz6MHRR9T5em06PLAjTCMcw8aXdyEk\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"stream_empty_payload", ERR_NONE,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n",
     "eecf62c7ce91b433274e68d4f2f9134cad2e4fcf3e528a4130deabef4336e555"},
    {"x25519_bad_tag", ERR_DENIED,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FE4\n"
     "--- zOCHpynV0aV7p4R6c+bOapgpq9TtpFgGgYghQ2+PIX8\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"x25519_no_match", ERR_DENIED,
     "age-encryption.org/v1\n"
     "-> X25519 ajtqAvDEkVNr2B7zUOtq2mAQXDSBlNrVAuM/dKb5sT4\n"
     "HUKtz0R2j5Bl2ER7HhAZrURikCFpiIjNa0KjHcjbAGU\n"
     "--- rrpTlvKEKrK3EqhoOPJeP1KE8O1d2arrRez77mwekRc\n",
     "dddf72d06fbcab57df3d0d312496ad218cd7fd6f8078bbf8812dd87947155eb7bd5e88"},
    {"x25519_extra_argument", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc 1234\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- l7E0/PQP54HBZYKUu505n1muW7EniDFqMrXgMhFmeiA\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"x25519_low_order", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEdc\n"
     "3E0NpFans/m0WLWF7+54ZBdNj3iqQqpraGDFiaRkvBA\n"
     "--- sXw327YMT1/ULXe+ZyRMbMY0Z2jnWHGgI9j1we6yQ8A\n",
     "ac5d3f3706e55071d3a604204697b9090595c2f7f5dbaee80d7a018c2872058af3ce7c"},
    {"x25519_identity", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
     "W3E/OCRme9TiTY97JoK31Z71arNur77WIIdB90XnN3M\n"
     "--- Pne3IPMDvBj7wRbPMcNViffpVZAx814tgMxp8AwyMhs\n",
     "ac5d3f3706e55071d3a604204697b9090595c2f7f5dbaee80d7a018c2872058af3ce7c"},
    {"x25519_long_file_key", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "nlObGn0CSA4pxiaG3W6nLlaFFuHmqW+bFC6sJmbsJ9yFesgSok1K0AI\n"
     "--- C49Jo3+j4I6jWB2tldSs1jVAXbv0mOTAnwdT+5vOiBg\n",
     "eecf62c7ce91b433274e68d4f2f9134c63f728ade7f10d04d074ffc78f50b229807831"},
    {"x25519_not_canonical_body", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLF\n"
     "--- SGYx1A08TAxtamnfCclSbmk59kIZWY8/f+qmMXv4g9g\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"x25519_not_canonical_share", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCd\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- ngoKTEDpJF0jTrD7UALMpTyjZC8ONeH6kqCvSYCvm2g\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"hmac_bad", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- 8McE3ix9R34E/vLrQv3yepsHjo/LXhfs22Ab3UyInmg\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"hmac_not_canonical", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNh\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"stanza_missing_final_line", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "-> stanza\n"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
     "--- ORM4jo0+tfqd57vT3+pUVZg/sHurDuHFHhXkG7S+RE4\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"stanza_spurious_cr", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "-> stanza\n"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\rAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
     "--- ahynG58BNILnncvWP3dPKYYuzvcn8Xajrz3LdsOfwJI\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"header_crlf", ERR_CORRUPT,
     "age-encryption.org/v1\r\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\r\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\r\n"
     "--- 2KIGb7ye32MWtUuEVWkO3MP6qCDLzOvT9wF06lelBSI\r\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"version_unsupported", ERR_CORRUPT,
     "age-encryption.org/v1234\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- Tv+h4x3tN8O4kAWnf7DbpSkmNlxlyxSVfY7UoPFkhno\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb66"},
    {"stream_bad_tag", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n",
     "eecf62c7ce91b433274e68d4f2f9134cb74c5bfef7beaa52c8f0bc0e992c1e8331fb46"},
    {"stream_no_final", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n",
     "eecf62c7ce91b433274e68d4f2f9134c00bd63686da84814caaa0129618ac20861"},
    {"stream_no_chunks", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n",
     "eecf62c7ce91b433274e68d4f2f9134c"},
    {"stream_no_nonce", ERR_CORRUPT,
     "age-encryption.org/v1\n"
     "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
     "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n"
     "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n",
     ""},
};

#endif
