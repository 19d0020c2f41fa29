"""Every fault again and again under load: what is answered, what is lost, and how soon all is well again."""
