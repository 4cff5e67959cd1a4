/* Functions of the C library that a test puts others in the place of. */
#ifndef TESTS_STORE_SEEN_H
#define TESTS_STORE_SEEN_H

/* So that the libraries see them too. */
#define SEEN __attribute__((visibility("default")))

/* Sanitizers have a malloc of their own.  gcc and clang tell it differently. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#endif
