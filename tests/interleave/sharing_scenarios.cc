// What several threads own: reference counts, snapshots without a lock, handles.
#include "module/handle_table.h"
#include "module/ref.h"
#include "module/snapshot.h"
#include "tests/interleave/scenarios.h"
#include "tests/module/fake_host.h"

namespace igor::interleave {
namespace {

using test::payload_of;
using test::text_of;

class Thing final : public RefCounted<Thing> {
 public:
  explicit Thing(int& alive) : alive_(alive) { ++alive_; }
  ~Thing() { --alive_; }
  int look() const { return looked_.load(); }

 private:
  int& alive_;
  Atomic<int> looked_{7};
};

void the_last_owner_destroys() {
  int alive = 0;
  {
    auto first = Ref<Thing>::adopt(new Thing(alive));
    const auto use = [](const Ref<Thing>& own) {
      const Ref<Thing> copy = own;
      require(copy->look() == 7, "it is alive as long as somebody owns it");
    };
    Thread one("owner-1", [use, own = first]() mutable { use(own), own = nullptr; });
    Thread other("owner-2", [use, own = first]() mutable { use(own), own = nullptr; });
    first = nullptr;
  }
  require(alive == 0, "it is destroyed, once");
}

void check(const Ref<const Snapshot>& snapshot, uint64_t at_least) {
  require(static_cast<bool>(snapshot), "there is one");
  require(snapshot->version() >= at_least, "not older than what was seen");
  require(text_of(snapshot->payload()) == std::to_string(snapshot->version()), "whole");
}

void snapshot_readers_against_a_writer() {
  SnapshotStore store;
  store.publish(payload_of("1"));
  const auto read = [&] {
    const auto first = store.latest();
    check(first, 1);
  };
  {
    Thread one("reader-1", read), other("reader-2", read);
    store.publish(payload_of("2"));
  }
  require(store.version() == 2, "both were published");
  check(store.latest(), 2);
}

void snapshot_reader_against_two_versions() {
  SnapshotStore store;
  Thread reader("reader", [&] {
    uint64_t version = store.version();
    for (int i = 0; i < 2; ++i) {
      const auto snapshot = store.latest();
      if (!snapshot) {
        require(version == 0, "once there is one, there always is");
        continue;
      }
      check(snapshot, version);
      version = snapshot->version();
    }
  });
  store.publish(payload_of("1"));
  store.publish(payload_of("2"));
}

struct SomeView final : SnapshotView {
  explicit SomeView(int& its_alive) : alive(its_alive) { ++alive; }
  ~SomeView() override { --alive; }
  int& alive;
};

void snapshot_views_against_a_writer() {
  int alive = 0;
  {
    SnapshotStore store;
    store.publish(payload_of("1"));
    const auto look = [&] {
      const auto snapshot = store.latest();
      const auto make = [&](const Payload&) { return std::make_unique<SomeView>(alive); };
      const SnapshotView* const view = snapshot->view(make);
      require(view != nullptr && view == snapshot->view(make), "all see the one that was made");
    };
    Thread one("reader-1", look), other("reader-2", look);
    store.publish(payload_of("2"));
  }
  require(alive == 0, "each view is destroyed, once");
}

void snapshot_writers_and_a_late_owner() {
  auto store = std::make_unique<SnapshotStore>();
  store->publish(payload_of("1"));
  Ref<const Snapshot> kept;
  {
    Thread reader("reader", [&] { kept = store->latest(); });
    Thread writer("writer", [&] { store->publish(payload_of("2")); });
    require(!store->publish(payload_of("1")) || store->version() > 1, "the same again is no new version");
  }
  store = nullptr;
  require(text_of(kept->payload()) == (kept->version() == 2 ? "2" : "1"), "it outlives its store");
}

void first_snapshot_against_who_waits() {
  SnapshotStore store;
  Thread waiter("waiter", [&] {
    for (;;) {
      const Wakeup::Ticket ticket = store.changed().ticket();
      if (const auto snapshot = store.latest()) {
        check(snapshot, 1);
        return;
      }
      store.changed().wait(ticket, kNever);
    }
  });
  store.publish(payload_of("1"));
}

void a_handle_is_taken_once() {
  int alive = 0;
  {
    HandleTable<Ref<Thing>> table;
    const uint64_t handle = table.insert(Ref<Thing>::adopt(new Thing(alive)));
    bool taken[2] = {};
    {
      Thread one("taker-1", [&] { taken[0] = static_cast<bool>(table.take(handle)); });
      Thread other("taker-2", [&] { taken[1] = static_cast<bool>(table.take(handle)); });
      if (const auto found = table.find(handle)) require(found->look() == 7, "what is found is alive");
    }
    require(taken[0] != taken[1], "by one of the two");
    const uint64_t next = table.insert(Ref<Thing>::adopt(new Thing(alive)));
    require(next != handle && !table.find(handle), "a stale handle names nothing");
    table.take(next);
  }
  require(alive == 0, "nothing is left");
}

Settings with_counts(Settings settings) {
  settings.reference_counts = true;
  return settings;
}

}  // namespace

std::vector<Scenario> sharing_scenarios() {
  return {
      {"TheLastOwnerDestroys", with_counts(preemptions(3, 100)), the_last_owner_destroys},
      {"SnapshotReadersAgainstAWriter", with_counts(all_orders(100)), snapshot_readers_against_a_writer},
      {"SnapshotReaderAgainstTwoVersions", with_counts(all_orders(50)), snapshot_reader_against_two_versions},
      {"SnapshotViewsAgainstAWriter", with_counts(preemptions(3, 100)), snapshot_views_against_a_writer},
      {"SnapshotWritersAndALateOwner", with_counts(preemptions(3, 100)), snapshot_writers_and_a_late_owner},
      {"FirstSnapshotAgainstWhoWaits", with_counts(all_orders(5)), first_snapshot_against_who_waits},
      {"AHandleIsTakenOnce", with_counts(preemptions(3, 20)), a_handle_is_taken_once},
  };
}

}  // namespace igor::interleave
