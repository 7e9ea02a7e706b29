//! The syncline command line and its embeddable library face
