//! PostgreSQL connector
