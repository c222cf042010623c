//! Seeded random requests.
