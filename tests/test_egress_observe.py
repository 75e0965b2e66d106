"""Observing: judged and recorded as if locked, and nothing denied; and the list that is learned from it."""

from harness import world as net

SHARED, ELSEWHERE = net.OTHER_SERVERS
GREETING = "hello from the internet"


def fetch(workspace, place, code=0):
    return workspace.exec("wget", "-q", "-O", "-", f"http://{place}/", code=code).text.strip()


def test_what_is_observed_is_the_list_that_is_needed(world, workspaces, microagent):
    workspace = workspaces("learner", "--observe")
    assert fetch(workspace, "www.example") == fetch(workspace, SHARED) == GREETING
    record = workspace.wait_for_record(event="egress_allow", host="www.example", dst=f"{net.SERVER}:80")
    assert record["wouldDeny"] == "not-listed"
    assert workspace.wait_for_record(event="egress_dns_allow", qname="www.example")["wouldDeny"] is True
    learned = microagent.run("egress", "learn", "learner").text.splitlines()
    assert learned == [f"{SHARED}:80", "www.example:80"]
    workspace.kill()

    # Locked, and with these rules, the same session is let through; nothing else is.
    proven = workspaces("proven", "--egress-lock-allowlist", "--egress-allow", ",".join(learned))
    assert fetch(proven, "www.example") == fetch(proven, SHARED) == GREETING
    fetch(proven, ELSEWHERE, code=1)
    proven.exec("nslookup", "-type=a", "two.example", code=1)
