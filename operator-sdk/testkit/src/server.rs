//! The API server as a state machine: a request and the time in, an answer out; no clock, no runtime, no randomness of its
//! own.
