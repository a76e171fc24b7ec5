"""Security: tokens and renewals, and known vulnerabilities."""
