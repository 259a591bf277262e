"""For tests of plugins, shipped or not: fakes of site and exchange, and a contract suite for each plugin kind."""
