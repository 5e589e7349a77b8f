"""What every request passes before anything else sees it. docs/security.md says against whom."""
