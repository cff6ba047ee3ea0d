"""The conditions database under the field's own scenarios, loaded and asked through HTTP."""
