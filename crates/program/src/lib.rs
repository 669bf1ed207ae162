//! Steps, programs and their encoding.
