"""Contract suites: one mixin for each plugin kind, which a plugin's own tests inherit."""
