//! Controllers that are wrong in one thing, each as an operator in production was, and their twins that are right.
//!
//! The default exploration has to catch each one and to name the cause, and has to find nothing in its twin. The bugs are
//! of the kinds that Sieve found ("stale", "unobserved" and "intermediate state"), and that Kubernetes' own controllers had;
//! the code is not theirs.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "controllers of a test, some of which are to panic")]
#![allow(clippy::disallowed_methods, reason = "these are controllers of plain kube")]

mod adopts_by_name;
mod cleans_up_on_the_event;
mod controller;
mod creates_while_terminating;
mod first_write_guards_the_second;
mod forgets_its_own_create;
mod hot_loop;
mod ignores_errors;
mod judge;
mod lacks_a_right;
mod leaks_outside_the_namespace;
mod members;
mod model;
mod overwrites_a_user;
mod panics_without_a_status;
mod people;
mod releases_another_object;
mod restarts_into_the_past;
mod rewrites_its_status;
mod scales_on_a_stale_list;
mod trusts_the_order_of_kinds;
mod two_leaders;
