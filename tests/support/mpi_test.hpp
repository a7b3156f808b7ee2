#pragma once

#include "comm/communicator.hpp"

namespace fcmnist::test {

/// The ranks that run this test program together. Every rank runs every test.
const comm::Communicator& world();

}  // namespace fcmnist::test
