"""The plugins that meshd ships; they enter by the door that strangers use."""
