//! Read, detect, resolve, apply, checkpoint; diff, verify, undo
