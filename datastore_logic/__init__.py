"""Global tags, intervals of validity, freeze and resolution over the databuffer. Owns no truth, only a view."""
