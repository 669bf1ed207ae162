//! Docker Engine with the runtime under test.
