"""What the pages and the command line call: one module a piece of work, none of which loads TensorFlow at import."""
