// A life of a workspace from its start to each of its ends.

#include "supervisor/test_lifecycle.h"

namespace microagent::supervisor {
namespace {

TEST_F(Lifecycle, PassesVariablesOnAndShowsThemToNobody) {
  ::setenv("LIFECYCLE_TEST_KEY", "a-value-of-its-own", 1);
  variables_.add("LIFECYCLE_TEST_KEY", "a-value-of-its-own");
  variables_.add("OTHER", "b");
  const auto running = begin();
  ::unsetenv("LIFECYCLE_TEST_KEY");
  ASSERT_TRUE(running) << running.error().message;
  EXPECT_EQ(content_of(directory() / "variables"), "LIFECYCLE_TEST_KEY=a-value-of-its-own\nOTHER=b\n");
  std::vector<int> pids{running->supervisor_pid};
  for (const auto& [name, pid] : running->pids) pids.push_back(pid);
  for (const int pid : pids) {
    for (const char* kind : {"environ", "cmdline"}) {
      const std::string content = content_of(fs::path("/proc") / std::to_string(pid) / kind);
      EXPECT_NE(content, "");
      EXPECT_EQ(content.find("a-value-of-its-own"), std::string::npos) << pid << " " << kind;
    }
  }
}

TEST_F(Lifecycle, PassesNoDescriptorWithoutVariables) {
  ASSERT_TRUE(begin());
  EXPECT_FALSE(fs::exists(directory() / "variables"));
}

TEST_F(Lifecycle, StartsAndStopsCleanly) {
  manifest_.network.forwards = {{workspace::Transport::tcp, "127.0.0.1", 0, 80}};
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  EXPECT_EQ(running->state, State::running);
  EXPECT_EQ(running->pids.size(), 3U);
  EXPECT_TRUE(running->readiness.at("guestReady").ready);
  EXPECT_EQ(running->forwards.size(), 1U);
  EXPECT_FALSE(progress_.empty());
  EXPECT_TRUE(store_->locked(kName).value());

  const auto stopped = stop(*store_, kName, seconds(10));
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(stopped->state, State::stopped);
  EXPECT_EQ(stopped->detail, "the guest shut down cleanly");
  expect_nothing_left(*running);

  const auto events = store_->load_events(kName);
  ASSERT_TRUE(events);
  std::vector<State> states;
  for (const auto& event : *events) states.push_back(event.state);
  EXPECT_THAT(states,
              testing::ElementsAre(State::prepared, State::starting, State::running, State::stopping, State::stopped));
  const auto again = begin();
  EXPECT_TRUE(again) << again.error().message;
}

TEST_F(Lifecycle, EndsWithTheLeash) {
  Leash leash;
  ASSERT_TRUE(store_->create(manifest_));
  const auto running = start(*store_, kName, ready_timeout_, {}, {}, &leash);
  ASSERT_TRUE(running) << running.error().message;
  leash.held.reset();
  await_other_than(State::running);
  EXPECT_EQ(await_other_than(State::stopping).state, State::stopped);
  expect_nothing_left(*running);
  EXPECT_EQ(record().detail, "killed on request");
}

TEST_F(Lifecycle, IsRemovedWithTheLeash) {
  Leash leash{.discard = true};
  ASSERT_TRUE(store_->create(manifest_));
  const auto running = start(*store_, kName, ready_timeout_, {}, {}, &leash);
  ASSERT_TRUE(running) << running.error().message;
  leash.held.reset();
  for (int i = 0; i < 500 && store_->exists(kName); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(store_->exists(kName));
  await_free_lock();
  for (const auto& [name, pid] : running->pids) EXPECT_FALSE(alive(pid)) << name;
}

TEST_F(Lifecycle, AStartOnALeashCanBeGivenUp) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reading(ends[0]), writing(ends[1]);
  Leash leash{.interrupt = reading.get()};
  ASSERT_TRUE(store_->create(manifest_));
  std::ofstream(directory() / "script") << "silent";  // it would never be ready
  const auto given_up = start(
      *store_, kName, seconds(60),
      [&](std::string_view line) {
        if (line.starts_with("booting")) EXPECT_EQ(::write(writing.get(), "x", 1), 1);
      },
      {}, &leash);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().message, "the workspace was stopped while it started");
  EXPECT_EQ(record().state, State::stopped);
  await_free_lock();
  EXPECT_THAT(remains(), testing::IsEmpty());
}

TEST_F(Lifecycle, EndsWhenItsTimeIsOver) {
  manifest_.upkeep.ttl = 1;
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  await_other_than(State::running);
  const auto ended = await_other_than(State::stopping);
  EXPECT_EQ(ended.state, State::stopped);
  EXPECT_EQ(ended.reason, workspace::kReasonExpired);
  EXPECT_EQ(ended.detail, "its time to live is over: the guest shut down cleanly");
  expect_nothing_left(*running);
}

TEST_F(Lifecycle, RemembersWhatIsFoundAboutItsHealth) {
  ASSERT_TRUE(begin());
  for (const bool healthy : {true, true, false, false}) {
    const Status told = tell_health(*store_, kName, healthy, healthy ? "" : "no answer");
    ASSERT_TRUE(told) << told.error().message;
    EXPECT_EQ(record().readiness.at("healthReady").ready, healthy);
  }
  EXPECT_EQ(record().readiness.at("healthReady").error, "no answer");
  std::vector<std::string> told;
  const auto events = store_->load_events(kName);
  ASSERT_TRUE(events);
  for (const auto& event : *events) {
    if (event.reason == workspace::kReasonHealth) told.push_back(event.detail);
  }
  EXPECT_THAT(told, testing::ElementsAre("healthy", "unhealthy: no answer"));
}

TEST_F(Lifecycle, HasNothingToTellWhereAllIsRecorded) {
  ASSERT_TRUE(begin());
  const auto pending = pending_event(*store_, kName);
  ASSERT_TRUE(pending) << pending.error().message;
  EXPECT_FALSE(*pending);
  ASSERT_TRUE(kill(*store_, kName));
  EXPECT_EQ(pending_event(*store_, kName).error().kind, ErrorKind::conflict);
}

TEST_F(Lifecycle, TellsWhatItsProcessesUse) {
  const auto running = begin();
  ASSERT_TRUE(running);
  const auto used = usage(*store_, kName);
  ASSERT_TRUE(used) << used.error().message;
  EXPECT_GE(used->value("uptimeSeconds", -1.0), 0.0);
  const auto& processes = (*used)["processes"];
  EXPECT_EQ(processes.size(), 4U);
  for (const auto& [name, pid] : running->pids) {
    EXPECT_EQ(processes[name]["pid"], pid);
    EXPECT_GT(processes[name]["memoryBytes"], 0) << name;
  }
  ASSERT_TRUE(kill(*store_, kName));
  EXPECT_EQ(usage(*store_, kName).error().kind, ErrorKind::conflict);
}

TEST_F(Lifecycle, ItsEndCanBeWatched) {
  ASSERT_TRUE(begin());
  const auto end = watch_end(*store_, kName);
  ASSERT_TRUE(end) << end.error().message;
  pollfd polled{end->get(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 100), 0);
  ::kill(record().supervisor_pid, SIGKILL);
  EXPECT_EQ(::poll(&polled, 1, 10'000), 1);
  await_free_lock();
  EXPECT_FALSE(watch_end(*store_, kName));
}

TEST_F(Lifecycle, KillsAGuestThatDoesNotShutDown) {
  const auto running = begin("deaf");
  ASSERT_TRUE(running) << running.error().message;
  const auto stopped = stop(*store_, kName, seconds(1));
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(stopped->state, State::stopped);
  EXPECT_THAT(stopped->detail, HasSubstr("did not shut down within 1 s and was killed"));
  expect_nothing_left(*running);
}

TEST_F(Lifecycle, HeedsAStopThatIsInMoreOfAHurry) {
  for (const char* script : {"deaf", "unhurried"}) {
    const auto running = begin(script);
    ASSERT_TRUE(running) << running.error().message;
    auto patient = std::async(std::launch::async, [this] { return stop(*store_, kName, seconds(60)); });
    await_other_than(State::running);
    const auto begun = std::chrono::steady_clock::now();
    const auto stopped = stop(*store_, kName, seconds(2));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(20));
    ASSERT_TRUE(stopped) << stopped.error().message;
    EXPECT_THAT(stopped->detail, HasSubstr(script == std::string("deaf") ? "within 2 s and was killed" : "cleanly"));
    EXPECT_TRUE(patient.get());
    expect_nothing_left(*running);
  }
}

TEST_F(Lifecycle, IsNotHeldUpByAStopThatHasTime) {
  const auto running = begin("deaf");
  ASSERT_TRUE(running) << running.error().message;
  auto hasty = std::async(std::launch::async, [this] { return stop(*store_, kName, seconds(2)); });
  await_other_than(State::running);
  const auto stopped = stop(*store_, kName, seconds(60));
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_THAT(stopped->detail, HasSubstr("within 2 s and was killed"));
  EXPECT_TRUE(hasty.get());
}

TEST_F(Lifecycle, KillsAtOnce) {
  const auto running = begin("deaf");
  ASSERT_TRUE(running) << running.error().message;
  const auto ended = kill(*store_, kName);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->state, State::stopped);
  expect_nothing_left(*running);
  const auto again = kill(*store_, kName);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::conflict);
}

TEST_F(Lifecycle, AKillEndsASupervisorThatHangs) {
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  ASSERT_EQ(::kill(running->supervisor_pid, SIGSTOP), 0);
  const auto killed = kill(*store_, kName, seconds(1));
  ASSERT_TRUE(killed) << killed.error().message;
  EXPECT_EQ(killed->state, State::failed);
  EXPECT_EQ(killed->reason, workspace::kReasonLost);
  for (const auto& [name, pid] : running->pids) {
    for (int i = 0; i < 500 && alive(pid); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  expect_nothing_left(*running);
}

TEST_F(Lifecycle, CarriesQuestionsToTheMediatorAndBack) {
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  const auto status = ask_mediator(*store_, kName, {{"ask", "status"}});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, (nlohmann::json{{"asked", "status"}}));
  const auto refused = ask_mediator(*store_, kName, {{"ask", "explain"}, {"host", "no.example"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no such host");
  EXPECT_EQ(refused.error().remediation, "name another");
  const auto order = ask_mediator(*store_, kName, {{"ask", "quarantine"}});
  ASSERT_FALSE(order);
  EXPECT_EQ(order.error().kind, ErrorKind::usage);
  const auto applied = apply_policy(*store_, kName);
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(*applied, (nlohmann::json{{"asked", "policy"}}));
}

TEST_F(Lifecycle, LetsAQuarantinedWorkspaceOnlyEnd) {
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  const auto quarantined = quarantine(*store_, kName);
  ASSERT_TRUE(quarantined) << quarantined.error().message;
  EXPECT_EQ(quarantined->state, State::quarantined);
  EXPECT_TRUE(quarantine(*store_, kName));
  const auto exec = open_exec(*store_, kName);
  ASSERT_FALSE(exec);
  EXPECT_EQ(exec.error().kind, ErrorKind::conflict);
  EXPECT_THAT(exec.error().remediation, HasSubstr("only be stopped"));
  EXPECT_FALSE(apply_policy(*store_, kName));
  EXPECT_TRUE(ask_mediator(*store_, kName, {{"ask", "status"}}));
  EXPECT_FALSE(begin());
  const auto stopped = stop(*store_, kName, seconds(10));
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(stopped->state, State::stopped);
  EXPECT_EQ(stopped->detail, "killed while it was quarantined");
  expect_nothing_left(*running);
}

TEST_F(Lifecycle, FailsWhenAWorkerDies) {
  for (const char* victim : {"netd", "mediator", "qemu"}) {
    const auto running = begin();
    ASSERT_TRUE(running) << running.error().message;
    ASSERT_EQ(::kill(running->pids.at(victim), SIGKILL), 0);
    const auto ended = await_other_than(State::running);
    EXPECT_EQ(ended.state, State::failed);
    EXPECT_EQ(ended.detail, std::string(victim) + " was killed by signal 9 (SIGKILL)");
    expect_nothing_left(*running);
    EXPECT_EQ(store_->load_events(kName).value().back().detail, ended.detail);
  }
}

TEST_F(Lifecycle, TakesTheWorkersAlongWhenItDiesItself) {
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  ASSERT_EQ(::kill(running->supervisor_pid, SIGKILL), 0);
  await_free_lock();
  for (const auto& [name, pid] : running->pids) {
    for (int i = 0; i < 500 && alive(pid); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_FALSE(alive(pid)) << name;
  }
}

TEST_F(Lifecycle, StopsWhenTheGuestPowersItselfOff) {
  const auto running = begin("workload");
  ASSERT_TRUE(running) << running.error().message;
  const auto ended = await_other_than(State::running);
  EXPECT_EQ(ended.state, State::stopped);
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_EQ(ended.detail, "the guest powered itself off");
  expect_nothing_left(*running);
}

TEST_F(Lifecycle, LetsOneOfTwoStartsWin) {
  ASSERT_TRUE(store_->create(manifest_));
  auto other = std::async(std::launch::async, [this] { return start(*store_, kName, ready_timeout_, {}); });
  const auto first = start(*store_, kName, ready_timeout_, {});
  const auto second = other.get();
  ASSERT_NE(first.has_value(), second.has_value());
  // As long as the winner has not said that it starts, the same words may be worth another try.
  const ErrorKind kind = (first ? second : first).error().kind;
  EXPECT_TRUE(kind == ErrorKind::conflict || kind == ErrorKind::transient);
  EXPECT_EQ(record().state, State::running);
}

TEST_F(Lifecycle, SaysWhyAGuestDidNotStart) {
  const auto failed = begin("fails");
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("no network device"));
  EXPECT_EQ(record().state, State::failed);
  EXPECT_THAT(remains(), testing::IsEmpty());
}

TEST_F(Lifecycle, BoundsTheBoot) {
  ready_timeout_ = seconds(1);
  const auto failed = begin("silent");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::transient);
  EXPECT_THAT(failed.error().message, HasSubstr("longer than 1 s"));
  EXPECT_EQ(record().state, State::failed);
  EXPECT_THAT(remains(), testing::IsEmpty());
}

TEST_F(Lifecycle, CanBeEndedWhileItStarts) {
  ASSERT_TRUE(store_->create(manifest_));
  std::ofstream(directory() / "script") << "silent";
  auto starting = std::async(std::launch::async, [this] { return start(*store_, kName, ready_timeout_, {}); });
  Result<workspace::Runtime> ended = fail(ErrorKind::transient, "not tried");
  while (!ended && (ended.error().retryable() || ended.error().kind == ErrorKind::conflict)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ended = kill(*store_, kName);
  }
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->state, State::stopped);
  const auto started = starting.get();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::conflict);
  EXPECT_THAT(remains(), testing::IsEmpty());
}

TEST_F(Lifecycle, GivesQemusLastWords) {
  std::ofstream(root_ / "guest" / "vmlinuz") << "broken";
  const auto failed = begin();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("qemu exited with code 1: qemu-system-x86_64: could not load kernel"));
  EXPECT_THAT(remains(), testing::IsEmpty());
}

TEST_F(Lifecycle, NamesWhatIsMissing) {
  std::ofstream(root_ / "guest" / "vmlinuz", std::ios::trunc).flush();
  const auto no_kernel = begin();
  ASSERT_FALSE(no_kernel);
  EXPECT_THAT(no_kernel.error().message, HasSubstr((root_ / "guest" / "vmlinuz").string()));
  EXPECT_THAT(no_kernel.error().remediation, HasSubstr("make guest"));
  std::ofstream(root_ / "guest" / "vmlinuz") << "kernel";
  ::setenv("MICROAGENT_QEMU", "/nowhere/qemu", 1);
  const auto no_qemu = begin();
  ASSERT_FALSE(no_qemu);
  EXPECT_THAT(no_qemu.error().message, HasSubstr("/nowhere/qemu"));
  EXPECT_FALSE(start(*store_, "nobody", ready_timeout_, {}));
}

TEST_F(Lifecycle, DoesNotBootWithoutARequiredMediationTarget) {
  manifest_.mediation = workspace::Mediation{2048, "127.0.0.1:9900", true, true};
  const auto failed = begin("unreached");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::transient);
  EXPECT_EQ(failed.error().message,
            "--mediation 2048=127.0.0.1:9900: the target cannot be reached: Connection refused");
  EXPECT_FALSE(fs::exists(directory() / "console.log")) << "the guest did not boot";
  EXPECT_EQ(record().state, State::failed);
  EXPECT_THAT(remains(), testing::IsEmpty());
}

TEST_F(Lifecycle, TellsOfTheMediationTarget) {
  manifest_.mediation = workspace::Mediation{2048, "127.0.0.1:9900", true, true};
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
  const workspace::Signal& signal = running->readiness.at("mediationReady");
  EXPECT_TRUE(signal.ready);
  EXPECT_EQ(signal.detail, "127.0.0.1:9900");
  EXPECT_NE(signal.observed_at, "");
}

TEST_F(Lifecycle, TellsWhetherTheGuestTrustsWhatIntercepts) {
  const auto running = begin("trusted");
  ASSERT_TRUE(running) << running.error().message;
  EXPECT_TRUE(running->readiness.at("trustReady").ready);
  EXPECT_NE(running->readiness.at("trustReady").observed_at, "");
}

TEST_F(Lifecycle, TellsWhyTheGuestDoesNotTrustWhatIntercepts) {
  const auto running = begin("distrusted");
  ASSERT_TRUE(running) << running.error().message;
  EXPECT_FALSE(running->readiness.at("trustReady").ready);
  EXPECT_EQ(running->readiness.at("trustReady").error, "cannot write /etc");
}

TEST_F(Lifecycle, GoesOnWithoutAnOptionalMediationTarget) {
  manifest_.network.mode = workspace::NetworkMode::isolated;
  manifest_.mediation = workspace::Mediation{2048, "unix:/run/plane.sock", false, false};
  const auto running = begin("unreached");
  ASSERT_TRUE(running) << running.error().message;
  EXPECT_FALSE(running->readiness.at("mediationReady").ready);
  EXPECT_EQ(running->readiness.at("mediationReady").error, "Connection refused");
}

TEST_F(Lifecycle, NotesAMediationTargetThatIsLostLater) {
  manifest_.mediation = workspace::Mediation{2048, "127.0.0.1:9900", true, true};
  // It was reached, or there would be no start; by now it may be lost.
  const auto running = begin("lost");
  ASSERT_TRUE(running) << running.error().message;
  const auto stopped = stop(*store_, kName, seconds(1));
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(stopped->readiness.at("mediationReady").error, "Connection reset by peer");
}

TEST_F(Lifecycle, OpensAStreamForACommand) {
  const auto before = open_exec(*store_, kName);
  ASSERT_FALSE(before);
  ASSERT_TRUE(begin());
  const auto stream = open_exec(*store_, kName);
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(read_all(stream->get()), "protocol 40 port 1021 first \"\"\n");
}

TEST_F(Lifecycle, BootsWithoutNetworkWhenIsolated) {
  manifest_.network.mode = workspace::NetworkMode::isolated;
  const auto running = begin();
  ASSERT_TRUE(running) << running.error().message;
}

}  // namespace
}  // namespace microagent::supervisor
