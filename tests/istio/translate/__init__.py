"""Native sections of documents."""
