"""The mouth of the puppet: measured, moved as two layers, with teeth and tongue between them."""
