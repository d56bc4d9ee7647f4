// What a confined process can do: tried by one.
#pragma once

#include <stdint.h>

#pragma clang assume_nonnull begin

// Starts a child that confines itself to `directory` as an unpacker does and then tries everything that it must not be
// able to do. Writes the names of what succeeded, a line each, to the file `report`, after "confined" and its kind.
// Returns 0 when the child came to its end.
int confinement_try(int directory, int report, uint64_t memory);

#pragma clang assume_nonnull end
