"""Exact Pareto fronts of configurations under budgets, merged stage by stage."""
