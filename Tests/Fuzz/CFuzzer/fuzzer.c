#include "fuzzer.h"

// libFuzzer's archive brings a main of its own, which wants this function; the program's main takes its place.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    (void)bytes;
    (void)size;
    return 0;
}
