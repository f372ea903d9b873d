"""Gene expression: class moments as an anchor, a critic that challenges them, and counts that stay counts."""
