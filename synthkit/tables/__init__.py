"""Tables: from columns to symbols and back, and the models on top of them."""
