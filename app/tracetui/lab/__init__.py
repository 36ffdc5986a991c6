"""A throwaway lab: namespaces, rules and traffic for demo and tests.

Bounded in count and time; it takes itself down.
"""
