#include "module/mailbox.h"

#include <vector>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

class MailboxTest : public testing::Test {
 protected:
  Ref<Task> make() { return Ref<Task>::adopt(new Task(pool, Payload(), 0)); }
  // Waiting ones, accepted as far as the mailbox has places.
  std::vector<Ref<Task>> fill(Mailbox& mailbox, int count) {
    std::vector<Ref<Task>> tasks;
    for (int i = 0; i < count; ++i) {
      tasks.push_back(make());
      mailbox.push_back(tasks.back());
      mailbox.accept_next();
    }
    return tasks;
  }

  test::FakeHost host;
  std::shared_ptr<Pool> pool = Pool::create(test::options_of(0), host);
};

TEST_F(MailboxTest, OldestFirst) {
  Mailbox mailbox(2);
  EXPECT_TRUE(mailbox.empty());
  EXPECT_FALSE(mailbox.pop_front());
  const auto tasks = fill(mailbox, 5);
  EXPECT_EQ(mailbox.size(), 5u);
  for (const auto& task : tasks) EXPECT_EQ(mailbox.pop_front().get(), task.get());
  EXPECT_TRUE(mailbox.empty());
  EXPECT_EQ(mailbox.accepted(), 0u);
}

TEST_F(MailboxTest, OnlyAsManyAreAcceptedAsThereArePlaces) {
  Mailbox mailbox(2);
  const auto tasks = fill(mailbox, 4);
  EXPECT_EQ(mailbox.accepted(), 2u);
  EXPECT_FALSE(mailbox.has_free_place());
  EXPECT_EQ(mailbox.accept_next(), nullptr);
  EXPECT_EQ(mailbox.first_waiting(), tasks[2].get());
  mailbox.pop_front();
  EXPECT_TRUE(mailbox.has_free_place());
  EXPECT_EQ(mailbox.accept_next(), tasks[2].get());
  EXPECT_EQ(mailbox.accept_next(), nullptr);
  EXPECT_EQ(mailbox.first_waiting(), tasks[3].get());
}

TEST_F(MailboxTest, WithoutPlacesNobodyIsAccepted) {
  Mailbox mailbox(0);
  const auto tasks = fill(mailbox, 2);
  EXPECT_EQ(mailbox.accepted(), 0u);
  EXPECT_EQ(mailbox.first_waiting(), tasks[0].get());
}

TEST_F(MailboxTest, ErasesFromTheFrontTheMiddleAndTheEnd) {
  Mailbox mailbox(3);
  const auto tasks = fill(mailbox, 5);
  EXPECT_EQ(mailbox.erase(*tasks[2]).get(), tasks[2].get());
  EXPECT_EQ(mailbox.accepted(), 2u);
  EXPECT_FALSE(mailbox.erase(*tasks[2])) << "not here any more";
  EXPECT_TRUE(mailbox.erase(*tasks[0]));
  EXPECT_TRUE(mailbox.erase(*tasks[4]));
  EXPECT_EQ(mailbox.accepted(), 1u);
  EXPECT_EQ(mailbox.pop_front().get(), tasks[1].get());
  EXPECT_EQ(mailbox.pop_front().get(), tasks[3].get());
  EXPECT_FALSE(mailbox.erase(*make())) << "never was here";
}

TEST_F(MailboxTest, AnAcceptedTaskComesBackToTheFrontBeyondTheCapacity) {
  Mailbox mailbox(1);
  const auto tasks = fill(mailbox, 3);
  Ref<Task> offered = mailbox.pop_front();
  EXPECT_EQ(mailbox.accept_next(), tasks[1].get()) << "its place went to the next";
  mailbox.put_back(offered);
  EXPECT_EQ(mailbox.accepted(), 2u);
  EXPECT_FALSE(mailbox.has_free_place());
  EXPECT_EQ(mailbox.first_waiting(), tasks[2].get());
  EXPECT_EQ(mailbox.pop_front().get(), offered.get());
}

TEST_F(MailboxTest, AcceptedTasksComeBackInTheirOrderInWhicheverOrderTheyDo) {
  Mailbox mailbox(2);
  const auto tasks = fill(mailbox, 5);
  Ref<Task> first = mailbox.pop_front(), second = mailbox.pop_front();
  mailbox.accept_next();
  mailbox.put_back(first);
  mailbox.put_back(second);
  EXPECT_EQ(mailbox.first_waiting(), tasks[3].get());
  for (const auto& task : tasks) EXPECT_EQ(mailbox.pop_front().get(), task.get());
}

TEST_F(MailboxTest, OneThatComesBackIsBeforeThoseThatWait) {
  Mailbox mailbox(0);
  const Ref<Task> waits = make();  // made before the other, and sent after it
  Mailbox places(1);
  const Ref<Task> accepted = fill(places, 1).front();
  mailbox.push_back(waits);
  mailbox.put_back(places.pop_front());
  EXPECT_EQ(mailbox.pop_front().get(), accepted.get());
}

TEST_F(MailboxTest, LetsGoOfItsTasksWhenItDies) {
  const auto task = make();
  const long before = pool.use_count();
  {
    Mailbox mailbox(1);
    mailbox.push_back(task);
    mailbox.push_back(make());
  }
  EXPECT_EQ(pool.use_count(), before) << "the second is gone, and its hold on the pool";
}

}  // namespace
}  // namespace igor
