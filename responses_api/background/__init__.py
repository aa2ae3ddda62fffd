"""Background runs: submitted by a web process, made by a worker, looked after by whoever is left.

queued → in_progress → completed | incomplete | failed | cancelled. A worker owns a run by a lease that it renews. When
it runs out, the run is begun again, or ended with a reason where its stream has said something already that cannot be
unsaid. Whoever ends a run writes its record and its last event in one step.
"""
