"""Who of this host may come in."""


def test_another_user_cannot_use_the_unix_socket(service):
    status, message = service.answer(unix=True, user="outsider")
    assert status == 0, message
    # Not even start the service with it.
    assert service.state() == "inactive"


def test_a_member_of_the_group_can_use_the_unix_socket(service):
    assert service.is_served(unix=True, user="member")


def test_over_tcp_every_user_needs_a_client_key(service):
    assert service.answer(user="outsider", key="sk-guessed")[0] == 401
    assert service.is_served(user="outsider")


def test_the_service_runs_as_its_own_user_without_capabilities(service):
    assert service.is_served()
    pid = str(service.pid())
    assert service.box.sh('ps -o user:20=,group:20= -p "$1"', pid).split() == ["upstreamd", "upstreamd"]
    status = service.box.sh('grep ^Cap "/proc/$1/status"', pid)
    assert {line.split()[1] for line in status.splitlines()} == {"0" * 16}


def test_the_admin_socket_is_for_members_of_the_group(service):
    assert service.is_served()
    for user, exit_code in [("outsider", 69), ("member", 0)]:
        asked = service.box.run("runuser", "-u", user, "--", "upstreamd", "reload")
        assert asked.returncode == exit_code, asked.stderr
