"""Checking one model from outside: what is known of it, what is measured, which claims hold."""
