"""Text for terminals: its width in cells, and nothing in it that acts.

Every text of foreign origin passes here before it is shown.
"""
