//! One verb per file, each a recipe read top to bottom.
