"""Who may ask: the secret that the tiers share, and links that are signed with it."""
