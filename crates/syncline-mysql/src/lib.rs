//! MySQL and MariaDB connector
