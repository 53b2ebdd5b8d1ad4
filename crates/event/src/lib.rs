//! The user-space event and process model.
