"""What people write: recipes, fragments and site policy."""
