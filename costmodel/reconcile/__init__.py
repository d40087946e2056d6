"""Why two tools, or a paper and a tool, print different numbers for one network.

observe(module, args)         what ran, at every level at which a counter can look
counters()["fvcore"]          the rules of a counter: what it sees, and what it charges for it
predict(observed, rules)      its total, to the last unit, and the terms by which it differs from ours
"""
