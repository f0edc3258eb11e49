"""The rules on a drawn world with households, kiosks, colliding fingerprints and wrong addresses; the full-sized figures are in
docs/identity.md, from benchmarks/identity_quality.py."""

from benchmarks.identity_quality import CLUSTERS, of_cookies, resolve, scores
from benchmarks.identity_world import IdentityWorldConfig, draw_identity_world


def test_a_small_world_is_resolved_well_and_nobody_is_two_users(project):
    found = resolve(project, draw_identity_world(IdentityWorldConfig(people=4000, kiosks=8)))
    measured = scores(of_cookies(found))
    assert measured["pairwise precision"] > 0.97
    assert measured["pairwise recall"] > 0.73
    assert measured["coverage"] > 0.75
    assert measured["accuracy"] > 0.98
    largest, several_users = project.query(CLUSTERS).iloc[0]
    assert largest <= 50
    assert several_users == 0
