/* For tests that replace functions of the C library. */
#ifndef TESTS_STORE_SEEN_H
#define TESTS_STORE_SEEN_H

/* Makes a replacement visible to the libraries too. */
#define SEEN __attribute__((visibility("default")))

/* 0 with sanitizers, which have their own malloc; gcc and clang announce them
 * differently. */
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
