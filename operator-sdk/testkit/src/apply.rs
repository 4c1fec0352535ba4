//! Server-side apply: who owns which field, and what an applied intent makes of an object.
