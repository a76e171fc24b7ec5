"""What people write: recipes, fragments and the site configuration."""
