# Mistakes for the explorer to find: copies of files of module/ in which a few lines do the wrong thing when told to.
# The core itself knows nothing of it.
#
#   cmake -DFILE=module/task.cc -DROOT=... -DOUTPUT=... -P faults.cmake
#
# fault(NAME FILE TEXT OTHER): where the file has TEXT, the copy has OTHER, which asks fault("NAME") what to do. Text
# that is not there (any more) exactly once is left as it is, and the test of that fault says so.
file(READ "${ROOT}/${FILE}" content)
set(missing "")

function(fault name file text other)
  if(NOT file STREQUAL FILE)
    return()
  endif()
  string(FIND "${content}" "${text}" first)
  string(FIND "${content}" "${text}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    set(missing "${missing}[[maybe_unused]] const bool no_${name} = igor::interleave::fault_is_gone(\"${name}\");\n" PARENT_SCOPE)
    return()
  endif()
  string(REPLACE "${text}" "${other}" changed "${content}")
  set(content "${changed}" PARENT_SCOPE)
endfunction()

# A notification between the look and the ticket is slept through.
fault(ticket_after_unlocking module/task.cc [[
    const Wakeup::Ticket ticket = sender_wakeup_.ticket();
    lock.unlock();
    sender_wakeup_.wait(ticket,]] [[
    Wakeup::Ticket ticket = sender_wakeup_.ticket();
    lock.unlock();
    if (fault("ticket_after_unlocking")) ticket = sender_wakeup_.ticket();
    sender_wakeup_.wait(ticket,]])

# Draining is not under the task's lock.
fault(ticket_after_looking module/task.cc [[
    const Wakeup::Ticket ticket = worker_wakeup_.ticket();
    if (ended() ||]] [[
    Wakeup::Ticket ticket = worker_wakeup_.ticket();
    if (ended() ||]])
fault(ticket_after_looking module/task.cc [[
    lock.unlock();
    worker_wakeup_.wait(]] [[
    if (fault("ticket_after_looking")) ticket = worker_wakeup_.ticket();
    lock.unlock();
    worker_wakeup_.wait(]])

fault(notify_before_publishing module/task.cc [[
  updates_.push(std::move(update));]] [[
  if (fault("notify_before_publishing")) {
    lock.unlock();
    sender_wakeup_.notify();
    lock.lock();
  }
  updates_.push(std::move(update));]])
fault(notify_before_publishing module/task.cc [[
  sender_wakeup_.notify();
  pool_->counters().updates]] [[
  if (!fault("notify_before_publishing")) sender_wakeup_.notify();
  pool_->counters().updates]])

fault(place_in_the_fifo_not_told module/task.cc [[if (was_full) worker_wakeup_]] [[
if (was_full && !fault("place_in_the_fifo_not_told")) worker_wakeup_]])

fault(end_without_looking module/task.cc [[
  if (ended()) {
    lock.unlock();]] [[
  if (!fault("end_without_looking") && ended()) {
    lock.unlock();]])

fault(start_without_looking module/task.cc [[if (state() != TaskState::Pending || end_if_late(lock)) return false;]] [[
if (!fault("start_without_looking") && (state() != TaskState::Pending || end_if_late(lock))) return false;]])

fault(level_left_up module/task.cc [[if (updates_.empty() && !ended()) sender_wakeup_]] [[
if (updates_.empty() && !ended() && !fault("level_left_up")) sender_wakeup_]])

fault(sleep_without_looking module/wakeup.cc [[if ((word & ~kSleeper) != ticket) return;]] [[
if (fault("sleep_without_looking")) ticket = word & ~kSleeper;
    if ((word & ~kSleeper) != ticket) return;]])

fault(interrupt_not_looked_at_once_registered module/wakeup.cc [[if (interrupted(interrupt)) return;]] [[
if (!fault("interrupt_not_looked_at_once_registered") && interrupted(interrupt)) return;]])

fault(announced_readers_forgotten module/snapshot.cc [[Snapshot::kBias - static_cast<int64_t>(old >> 48)]] [[
Snapshot::kBias - (fault("announced_readers_forgotten") ? 0 : static_cast<int64_t>(old >> 48))]])

fault(withdrawn_slot_does_not_ask module/dispatch.cc [[
    // It asked, and has got nothing: it still waits.
    ask(lock, *slot);]] [[
    if (!fault("withdrawn_slot_does_not_ask")) ask(lock, *slot);]])

fault(offer_not_told_of module/pool.cc [[
  if (to_notify != nullptr) to_notify->notify();]] [[
  if (to_notify != nullptr && !fault("offer_not_told_of")) to_notify->notify();]])

fault(offers_never_move module/dispatch.cc [[    if (!can_offer() || unsure_offers_ == 0) return;]] [[
    if (!can_offer() || unsure_offers_ == 0 || fault("offers_never_move")) return;]])

fault(draining_after_waking module/pool_end.cc [[
  draining_.store(true, std::memory_order_release);
  drain_began_]] [[
  if (!fault("draining_after_waking")) draining_.store(true, std::memory_order_release);
  drain_began_]])
fault(draining_after_waking module/pool_end.cc [[
  life_.notify_all();
  lock.unlock();
  if (relieved()) {]] [[
  life_.notify_all();
  draining_.store(true, std::memory_order_release);
  lock.unlock();
  if (relieved()) {]])

fault(refused_tasks_move_along module/pool.cc [[task->ended() || task->admission_ == Task::Admission::Refused) continue;]] [[
task->ended() || (!fault("refused_tasks_move_along") && task->admission_ == Task::Admission::Refused)) continue;]])

file(WRITE "${OUTPUT}" "// ${FILE}, broken: see tests/interleave/faults.cmake.
#include \"tests/interleave/fault.h\"
namespace {
using igor::interleave::fault;
${missing}}
#line 1 \"${FILE}\"
${content}")
