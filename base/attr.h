/* Attributes of the compiler (gcc and clang) under names that say what they are for. */
#ifndef LIFEBOAT_BASE_ATTR_H
#define LIFEBOAT_BASE_ATTR_H

/* The result says whether it worked: ignoring it is a compile error under -Werror. */
#define MUST_USE __attribute__((warn_unused_result))
/* Argument number `fmt` is a printf format, its values begin at `first`. */
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
/* Calls fn(&variable) when the variable leaves its scope: every early return cleans up. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines name##p(T **) for CLEANUP from name(T *), where `name` accepts NULL. */
#define DEFINE_CLEANUP(type, name)                                                                 \
	static inline void name##p(type **p)                                                       \
	{                                                                                          \
		name(*p);                                                                          \
	}

#endif
