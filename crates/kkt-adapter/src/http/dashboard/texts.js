// Every word the page says, in both languages. `{0}` is a value; plural forms are chosen by the language's own rules.

import { russian } from "./russian.js";

const KEPT = "kkt-adapter.language";

const TEXTS = {
  skip: ["К содержанию", "Skip to the content"],
  language: ["Язык", "Language"],
  notFiscal: ["касса или ОФД эмулируются: эти чеки не имеют юридической силы", "the cash register or the OFD is emulated: these receipts have no legal force"],
  logout: ["Выйти", "Log out"],
  reader: ["только просмотр", "reader"],
  operator: ["оператор", "operator"],
  loginTitle: ["Вход", "Log in"],
  loginText: ["Нужен токен читателя или оператора. Где он лежит, написано в [auth] настроек адаптера.", "A reader's or an operator's token is needed. The adapter's configuration, [auth], says where it is kept."],
  token: ["Токен", "Token"],
  login: ["Войти", "Log in"],
  loginWrong: ["Такого токена нет.", "There is no such token."],
  loginSlow: ["Слишком много неверных токенов с этого адреса. Подождите минуту.", "Too many wrong tokens from this address. Wait a minute."],
  loginTill: ["Это токен кассы. Нужен токен читателя или оператора.", "This is a till's token. A reader's or an operator's is needed."],
  loading: ["Загрузка…", "Loading…"],
  live: ["На связи", "Live"],
  polling: ["Обновляется каждые 3 с", "Refreshed every 3 s"],
  connecting: ["Соединение…", "Connecting…"],
  noConnection: ["Нет связи с адаптером", "No connection"],
  lost: ["Нет связи с адаптером с {0}. Всё, что ниже, устарело. Проверьте, включён ли компьютер с адаптером и работает ли служба kkt-adapter. Страница подключится сама.",
    "No connection to the adapter since {0}. Everything below is out of date. Check that the computer with the adapter is on and that the service kkt-adapter runs. This page reconnects by itself."],
  failing: ["Адаптер отвечает ошибкой: {0}", "The adapter answers with an error: {0}"],

  canSell: ["Магазин может продавать", "The shop can sell"],
  canSellSome: ["Магазин продаёт не на всех кассах", "The shop can sell, but not on every register"],
  cannotSell: ["Магазин не может продавать", "The shop cannot sell"],
  allWell: ["Чеки печатаются и доставляются в ОФД. Делать ничего не нужно.", "Receipts are printed and delivered to the OFD. There is nothing to do."],
  guide: ["Руководство", "Guide"],
  guideLink: ["/docs/operations.ru", "/docs/operations"],
  steps: ["По шагам", "Step by step"],
  todo: ["Что делать:", "What to do:"],
  storageFailed: ["Хранилище чеков не работает: {0}", "The receipts' storage has failed: {0}"],
  storageFailedDo: ["Адаптер перезапустится сам и проверит файл. Если это повторяется, проверьте диск. Принятые чеки не потеряны.", "The adapter is started anew by itself and checks its file. If it happens again, check the disk. Receipts already taken are not lost."],
  diskLow: ["На диске мало места: новые чеки не принимаются. Свободно {0}, нужно не меньше {1}.", "Too little free disk space: no new receipts are taken. {0} free, at least {1} are needed."],
  diskLowDo: ["Освободите место на этом диске, но не в папке адаптера. Чеки начнут приниматься сами. Уже принятые не потеряны.", "Make room on this disk, but not in the adapter's folder. Receipts will be taken again by themselves. Those already taken are not lost."],
  diskSoon: ["На диске остаётся мало места: свободно {0}, меньше {1} чеки не принимаются.", "The disk is running out of space: {0} free, with less than {1} no receipts are taken."],
  diskSoonDo: ["Пока магазин продаёт. Освободите место на этом диске, но не в папке адаптера.", "The shop still sells. Make room on this disk, but not in the adapter's folder."],
  damagedSome: [{ one: "{0} сохранённый документ повреждён и отложен: в ОФД он может не уйти.", few: "{0} сохранённых документа повреждены и отложены: в ОФД они могут не уйти.", many: "{0} сохранённых документов повреждены и отложены: в ОФД они могут не уйти." }, { one: "{0} stored document was damaged and set aside: it may never reach the OFD.", other: "{0} stored documents were damaged and set aside: they may never reach the OFD." }],
  databaseDamaged: ["База чеков была повреждена: {0}", "The receipts' database was damaged: {0}"],
  damagedDo: ["Магазин продаёт. Ничего не удаляйте в папке адаптера, проверьте диск и позовите администратора: что делать, написано в руководстве, KktDamaged.", "The shop sells. Delete nothing in the adapter's folder, check the disk and call the administrator: the guide says what to do, under KktDamaged."],
  full: ["Буфер заполнен: новые чеки не принимаются.", "The buffer is full: no new receipts are taken."],
  fullDo: ["Чтобы продавать уже сейчас: увеличьте buffer.capacity в настройках и перезапустите службу kkt-adapter. Затем причина: связь с ОФД (буфер освободится сам) или недоставленные документы (закройте их ниже).", "To sell at once: raise buffer.capacity in the configuration and restart the service kkt-adapter. Then the cause: the link to the OFD (the buffer empties by itself) or dead letters (close them below)."],
  fullSoon: ["Буфер заполнен на {0} %.", "The buffer is {0} % full."],
  fullSoonDo: ["Пока магазин продаёт. Восстановите связь с ОФД, чтобы буфер не заполнился.", "The shop still sells. Restore the link to the OFD before it is full."],
  blocked: ["Касса {0} ждёт решения: неизвестно, напечатан ли чек.", "Register {0} waits for a decision: nobody knows whether a receipt was printed."],
  blockedDo: ["Посмотрите на ленту кассы и ответьте ниже, в «Напечатан ли чек?». До этого касса ничего не печатает.", "Look at the register's paper and answer below, under “Was it printed?”. Until then it prints nothing."],
  trouble: ["Касса {0} не печатает: {1}", "Register {0} does not print: {1}"],
  troubleDo: ["Проверьте бумагу, питание и кабель кассы. Чеки сохраняются и напечатаются сами.", "Check the register's paper, power and cable. Receipts are kept and will be printed by themselves."],
  ofdOpen: ["ОФД недоступен. Чеки печатаются, сохраняются здесь и уйдут сами, когда связь вернётся.", "The OFD cannot be reached. Receipts are printed, kept here, and will be sent by themselves once it is back."],
  ofdOpenDo: ["Сейчас ничего. Если это длится больше часа, проверьте интернет и позвоните в ОФД.", "Nothing now. If it lasts more than an hour, check the Internet and call the OFD."],
  ofdOpenFull: ["ОФД недоступен. Уже напечатанное сохранено и уйдёт само, когда связь вернётся.", "The OFD cannot be reached. What is printed already is kept and will be sent by itself once it is back."],
  ofdOpenFullDo: ["Сейчас же проверьте интернет и позвоните в ОФД.", "Check the Internet and call the OFD now."],
  ofdProbing: ["ОФД проверяется: отправлены пробные документы.", "The OFD is being tried with a few documents."],
  ofdProbingDo: ["Ничего: это занимает секунды.", "Nothing: it takes seconds."],
  ofdForced: ["Отправка в ОФД остановлена вручную: {0}", "Sending to the OFD was stopped by hand: {0}"],
  ofdForcedDo: ["Когда причина устранена, нажмите «Вернуть автоматику» у связи с ОФД.", "When the reason is gone, press “Back to automatic” at the link to the OFD."],
  ofdForcedClosed: ["Защита от отказов ОФД отключена вручную: {0}", "The protection against OFD outages was switched off by hand: {0}"],
  ofdForcedClosedDo: ["Нажмите «Вернуть автоматику» у связи с ОФД, когда это больше не нужно.", "Press “Back to automatic” at the link to the OFD when it is no longer needed."],
  denied: ["ОФД не принимает документы кассы {0}: {1}", "The OFD does not take the documents of register {0}: {1}"],
  deniedDo: ["Чаще всего это доступ: проверьте договор с ОФД и токен этой кассы. Чеки печатаются и ждут.", "Most often it is the credentials: check the OFD contract and this register's token. Receipts are printed and wait."],
  deviceForced: ["Отправка документов кассы {0} остановлена вручную: {1}", "Sending the documents of register {0} was stopped by hand: {1}"],
  old: ["Самый старый чек ждёт ОФД {0}; закон даёт 30 дней.", "The oldest receipt has waited for the OFD for {0}; the law allows 30 days."],
  oldDo: ["Узнайте у ОФД и интернет-провайдера, когда связь вернётся. Осталось: {0}.", "Ask the OFD and the Internet provider when the link will be back. Left: {0}."],
  openOldest: ["Открыть этот документ", "Open this document"],
  oldDeadDo: ["Этот документ не доставлен и сам не уйдёт: верните его в очередь или закройте. Осталось: {0}.", "This document is a dead letter and does not go by itself: requeue or close it. Left: {0}."],
  oldHereDo: ["ОФД отвечает. Документ уйдёт сам, если его не держит недоставленный документ или очередь: разберитесь с ними ниже. Осталось: {0}.", "The OFD answers. The document goes by itself unless a dead letter or a queue holds it: deal with those below. Left: {0}."],
  tooOldDo: ["Срок вышел: касса может быть заблокирована ФН. Срочно свяжитесь с ОФД и сервисным центром.", "The time is over: the fiscal memory may block the register. Call the OFD and the service centre at once."],
  laneHeld: ["Касса {0}: документ ФД {1} не проходит в ОФД уже {2} и держит остальные.", "Register {0}: document ФД {1} has not got through to the OFD for {2} and holds up the others."],
  laneHeldDo: ["Магазин продаёт. Спросите ОФД об этом документе. Если ОФД работает, а документ не берёт, отложите его ниже, в «Что держит очередь»: остальные уйдут.", "The shop sells. Ask the OFD about this document. If the OFD works and does not take it, set it aside below, under “What holds up the queue”: the others will go."],
  laneStopped: ["Касса {0}: отправка остановлена, пока не решено, что делать с недоставленным документом.", "Register {0}: nothing is sent until somebody decides about a dead letter."],
  laneStoppedDo: ["Магазин продаёт. Верните документ в очередь или закройте его ниже, в «Недоставленные документы»: остальные уйдут.", "The shop sells. Requeue or close it below, under “Dead letters”: the others will go."],
  laneFailed: ["Касса {0}: документы не уходят из-за ошибки программы: {1}", "Register {0}: nothing is sent because of a fault of the program: {1}"],
  laneFailedDo: ["Магазин продаёт, документы сохранены. Сообщите в поддержку; перезапуск адаптера обычно помогает.", "The shop sells, the documents are safe. Tell support; restarting the adapter usually helps."],
  deadSome: [{ one: "{0} документ не доставлен в ОФД и ждёт решения.", few: "{0} документа не доставлены в ОФД и ждут решения.", many: "{0} документов не доставлены в ОФД и ждут решения." }, { one: "{0} document has not been delivered to the OFD and waits for a decision.", other: "{0} documents have not been delivered to the OFD and wait for a decision." }],
  deadSomeDo: ["Посмотрите причину ниже, в «Недоставленные документы», и верните в очередь или закройте.", "See the reason below, under “Dead letters”, and requeue or close them."],

  figures: ["Коротко", "At a glance"],
  ofd: ["ОФД", "OFD"],
  ofdOnline: ["Доступен", "Reachable"],
  ofdOffline: ["Недоступен", "Not reachable"],
  ofdTrying: ["Проверяется", "Being tried"],
  ofdStopped: ["Остановлен вручную", "Stopped by hand"],
  ofdAlways: ["Защита отключена", "Protection off"],
  nextTry: ["следующая попытка через {0}", "next try in {0}"],
  nextTryNow: ["проба при следующем документе", "probing with the next document"],
  sinceAgo: ["уже {0}", "for {0}"],
  waiting: ["Ждут ОФД", "Wait for the OFD"],
  waitingNote: ["напечатаны, уйдут сами", "printed, will be sent by themselves"],
  waitingNone: ["всё доставлено", "everything is delivered"],
  waitingDead: ["остались недоставленные: {0}", "dead letters are left: {0}"],
  oldest: ["Самый старый", "Oldest unconfirmed"],
  oldestNone: ["нет", "none"],
  oldestNote: ["до срока в 30 дней: ещё {0}", "{0} left of the 30 days"],
  unprinted: ["Ждут печати", "Wait to be printed"],
  unprintedNone: ["всё напечатано", "everything is printed"],
  unprintedNote: ["напечатаются сами", "will be printed by themselves"],
  unprintedBlocked: ["нужно решение человека: см. ниже", "a person must decide: see below"],
  bufferFull: ["Буфер заполнен", "Buffer"],
  disk: ["Место на диске", "Disk space"],
  diskNote: ["нужно не меньше {0}", "at least {0} are needed"],
  erp: ["Учётная система", "ERP"],
  erpOnline: ["На связи", "Online"],
  erpOffline: ["Не отвечает", "Does not answer"],
  erpUnknown: ["Проверяется", "Not known yet"],
  erpNote: ["получает состояние адаптера", "is told how the adapter is"],
  bufferNote: ["{0} из {1}", "{0} of {1}"],

  unknownTitle: ["Напечатан ли чек?", "Was it printed?"],
  unknownText: ["Касса не знает, напечатала ли она этот документ. Посмотрите на ленту. Пока никто не решил, она ничего не печатает.", "The register does not know whether it printed this document. Look at the paper. It prints nothing until somebody decides."],
  wasPrinted: ["Напечатан…", "It was printed…"],
  wasNotPrinted: ["Не напечатан…", "It was not…"],

  breakers: ["Связь с ОФД", "Links to the OFD"],
  endpoint: ["ОФД", "The OFD"],
  device: ["Касса {0}: доступ к ОФД", "Register {0}: access to the OFD"],
  CLOSED: ["Работает", "Sending"],
  OPEN: ["Пауза", "Paused"],
  HALF_OPEN: ["Проба", "Probing"],
  FORCED_OPEN: ["Остановлено вручную", "Stopped by hand"],
  FORCED_CLOSED: ["Защита отключена", "Protection off"],
  METRICS_ONLY: ["Только наблюдение", "Watching only"],
  since: ["с {0}", "since {0}"],
  forcedUntil: ["закончится само через {0}", "ends by itself in {0}"],
  why: ["Почему:", "Why:"],
  counts: ["успешно {0}, отказов {1}", "{0} successes, {1} failures"],
  history: ["Последние {0}", "The last {0}"],
  ago: ["{0} назад", "{0} ago"],
  nowWord: ["сейчас", "now"],
  spent: ["{0}: {1}", "{0}: {1}"],
  commands: ["Кто и что делал вручную", "Commands by hand"],
  forceOpen: ["Остановить…", "Stop sending…"],
  forceClosed: ["Отключить защиту…", "Protection off…"],
  release: ["Вернуть автоматику…", "Back to automatic…"],
  reset: ["Сбросить…", "Reset…"],
  more: ["Показать ещё", "Show more"],
  moreBreakers: [{ one: "И ещё {0}, всё работает.", few: "И ещё {0}, все работают.", many: "И ещё {0}, все работают." }, { one: "And {0} more, sending.", other: "And {0} more, all sending." }],
  moreRows: ["И ещё {0}.", "And {0} more."],
  moreDead: ["Показать ещё (осталось {0})", "Show more ({0} left)"],
  syncNow: ["Отправить сейчас", "Send now"],
  syncRuns: ["Отправка уже идёт: подождите.", "Sending is under way already: wait."],
  syncing: ["Отправка…", "Sending…"],
  synced: ["Отправлено: {0}, не отправлено: {1}, ждут: {2}", "Sent: {0}, failed: {1}, waiting: {2}"],

  tills: ["Кассы", "Tills and registers"],
  till: ["Касса", "Till"],
  prints: ["Печать", "Printing"],
  toPrint: ["Ждут печати", "To print"],
  toSend: ["Ждут ОФД", "To send"],
  delivered: ["Доставлено", "Delivered"],
  printsWell: ["Печатает", "Prints"],
  printsNot: ["Не печатает", "Does not print"],
  printsBlocked: ["Ждёт решения", "Waits for a decision"],
  printsUnknown: ["Ещё не печатала", "Nothing printed yet"],
  tillsEmpty: ["Касса появится здесь с первым чеком.", "A till appears here with its first receipt."],

  heldTitle: ["Что держит очередь", "What holds up the queue"],
  heldText: ["Документ напечатан, но ОФД его не принял, а за ним ждут другие. Если ОФД не отвечает вообще, дело не в документе: подождите.", "It is printed, but the OFD has not taken it, and others wait behind it. If the OFD does not answer at all, it is not the document: wait."],
  heldFor: ["не проходит уже {0}", "has not got through for {0}"],
  park: ["Отложить…", "Set aside…"],
  parkText: ["Документ попадёт в «Недоставленные документы», остальные отправятся. Закон по-прежнему требует его доставить: разберитесь с ОФД и верните его в очередь.", "The document goes to the dead letters and the others are sent. By law it must still be delivered: settle it with the OFD and requeue it."],
  feedParked: ["{1} отложил документ {0}: {2}", "{1} set document {0} aside: {2}"],

  dead: ["Недоставленные документы", "Dead letters"],
  nothingToSend: ["Отправлять нечего: фискального документа нет. Сверьте ленту и кабинет ОФД, затем закройте с пометкой.", "There is nothing to send: it has no fiscal document. Compare the paper and the OFD's cabinet, then close it with a note."],
  deadEmpty: ["Нет. Сюда попадает то, что ОФД не принял и без человека не примет.", "None. What the OFD has not taken, and will not without a person, comes here."],
  attempts: [{ one: "{0} попытка", few: "{0} попытки", many: "{0} попыток" }, { one: "{0} attempt", other: "{0} attempts" }],
  requeue: ["Вернуть в очередь…", "Requeue…"],
  resolve: ["Закрыть…", "Close…"],

  receipts: ["Последние документы", "Recent documents"],
  searchLabel: ["Искать по номеру ФД, ключу, receipt_id или кассе", "Search by ФД number, key, receipt_id or till"],
  searchHint: ["ФД 4711, ключ или касса", "ФД 4711, key or till"],
  search: ["Найти", "Search"],
  anyStatus: ["Любое состояние", "Any status"],
  time: ["Время", "Time"],
  document: ["Документ", "Document"],
  total: ["Сумма, ₽", "Total, ₽"],
  fd: ["ФД", "ФД"],
  status: ["Состояние", "Status"],
  key: ["Ключ", "Key"],
  nothingFound: ["Ничего не найдено. Ищутся номер ФД с чека, ключ идемпотентности, receipt_id и pos_id целиком.", "Nothing found. Whole ФД numbers (as on the paper), idempotency keys, receipt ids and pos ids are looked for."],
  nothingSold: ["Ещё ничего не продано.", "Nothing sold yet."],
  sale: ["Продажа", "Sale"],
  refund: ["Возврат", "Refund"],
  correction: ["Коррекция", "Correction"],
  shift_open: ["Открытие смены", "Shift opened"],
  shift_close: ["Закрытие смены", "Shift closed"],
  receipt: ["Чек", "Receipt"],
  receiptId: ["Идентификатор (receipt_id)", "Receipt id"],
  accepted: ["Принят", "Accepted"],
  printing: ["Печатается", "Printing"],
  buffered: ["Ждёт печати", "Waits to be printed"],
  printed: ["Ждёт ОФД", "Waits for the OFD"],
  print_unknown: ["Неизвестно, напечатан ли", "Unknown whether printed"],
  synced_: ["Доставлен", "Delivered"],
  dead_: ["Не доставлен", "Dead letter"],
  cancelled: ["Отменён", "Cancelled"],
  decimal: [",", "."],

  items: ["Позиции", "Items"],
  name: ["Название", "Name"],
  price: ["Цена", "Price"],
  quantity: ["Кол-во", "Quantity"],
  payments: ["Оплата", "Payments"],
  cash: ["наличными", "cash"],
  card: ["картой", "card"],
  other: ["иным способом", "other"],
  facts: ["Сведения", "Facts"],
  system: ["адаптер", "the adapter"],
  story: ["Что происходило", "What happened"],
  lastError: ["Последняя ошибка", "Last error"],
  createdAt: ["Принят", "Taken"],
  printedAt: ["Напечатан", "Printed"],
  syncedAt: ["Доставлен", "Delivered"],
  fn: ["ФН", "ФН"],
  sign: ["ФП (ФПД)", "ФП (sign)"],
  shift: ["Смена", "Shift"],
  closedAs: ["Закрыт", "Closed"],
  bodyGone: ["Содержимое удалено по сроку хранения.", "The body was removed when its retention ended."],
  close: ["Закрыть окно", "Close"],

  feed: ["События", "Events"],
  feedEmpty: ["С открытия страницы ничего не происходило.", "Nothing has happened since this page was opened."],
  feedBreaker: ["{0}: {1} → {2}. {3}", "{0}: {1} → {2}. {3}"],
  feedCommand: ["{0}: {1}, {2}. {3}", "{0}: {1}, by {2}. {3}"],
  feedDied: ["Документ {0} не доставлен: {1}", "Document {0} became a dead letter: {1}"],
  feedRequeued: ["{1} вернул документ {0} в очередь. {2}", "{1} requeued document {0}. {2}"],
  feedResolved: ["{1} закрыл документ {0}: {2}", "{1} closed document {0}: {2}"],
  feedUnknown: ["Касса {0}: неизвестно, напечатан ли документ", "Register {0}: unknown whether a document was printed"],
  feedLost: ["Часть событий пропущена; данные обновлены.", "Some events were missed; the figures are up to date."],

  cancel: ["Отмена", "Cancel"],
  reason: ["Причина", "Reason"],
  reasonHint: ["Попадёт в журнал вместе с вашим именем.", "Goes into the audit trail with your name."],
  note: ["Что сделано", "What was done"],
  howLong: ["На сколько", "For how long"],
  untilReleased: ["пока не вернут", "until released"],
  minutes: ["{0} мин", "{0} min"],
  hours: ["{0} ч", "{0} h"],
  fdNumber: ["Номер ФД с чека", "ФД number on the paper"],
  fiscalSign: ["ФП (ФПД) с чека", "ФП (fiscal sign) on the paper"],
  needed: ["Заполните это поле.", "Fill in this field."],
  digitsOnly: ["Только цифры, как на чеке.", "Digits only, as on the paper."],
  forceOpenText: ["Документы перестанут уходить, но продажи продолжатся: чеки печатаются и ждут здесь.", "Documents will stop being sent. Sales go on: receipts are printed and wait here."],
  forceClosedText: ["Документы будут отправляться, даже если ОФД не отвечает. Обычно это не нужно.", "Documents will be sent even while the OFD fails. This is rarely needed."],
  releaseText: ["Адаптер снова сам решает, когда отправлять.", "The adapter decides by itself again when to send."],
  resetText: ["Счётчики отказов обнулятся, отправка начнётся сразу.", "Failures are forgotten and sending starts at once."],
  requeueText: ["Документ отправится в ОФД ещё раз, с теми же данными.", "The document is sent to the OFD again, unchanged."],
  resolveText: ["Документ больше не отправляется. Напишите, что с ним сделано.", "The document is not sent any more. Say what was done about it."],
  endAlarm: ["Повреждённые документы", "Damaged documents"],
  damageText: ["Тревога закончится. Сами документы от этого не меняются: закрывайте, когда они сверены с ОФД. Новое повреждение поднимет её снова.", "The alarm ends. The documents themselves do not change: close it once they have been compared with the OFD. More damage raises it again."],
  printedText: ["Перепишите с бумаги номер ФД и ФП. Документ уйдёт в ОФД, касса продолжит работу.", "Copy the ФД number and the sign from the paper. The document goes to the OFD and the register goes on."],
  notPrintedText: ["Адаптер напечатает его ещё раз. Если он всё-таки есть на ленте, чек задвоится.", "The adapter prints it again. If it is on the paper after all, it will be there twice."],
  foot: ["kkt-adapter: чеки сохраняются и доставляются, что бы ни случилось с сетью.", "kkt-adapter: receipts are kept and delivered, whatever the network does."],
};

/** Names of the audit. */
const DEEDS = {
  accepted: ["принят", "accepted"],
  start_printing: ["отправлен на печать", "start_printing"],
  printed: ["напечатан", "printed"],
  not_printed: ["не напечатан", "not_printed"],
  print_unknown: ["неизвестно, напечатан ли", "print_unknown"],
  decide_printed: ["решение: напечатан", "decide_printed"],
  decide_not_printed: ["решение: не напечатан", "decide_not_printed"],
  cancel: ["отменён", "cancel"],
  synced: ["доставлен", "synced"],
  attempt_failed: ["попытка не удалась", "attempt_failed"],
  die: ["не доставлен, ждёт решения", "die"],
  park: ["отложен", "park"],
  requeue: ["возвращён в очередь", "requeue"],
  resolve: ["закрыт", "resolve"],
  synced_while_dead: ["доставлен, хотя уже считался недоставленным", "synced_while_dead"],
  imported: ["перенесён из прежнего адаптера", "imported"],
  salvaged: ["спасён из повреждённой базы", "salvaged"],
  set_aside: ["отложен как повреждённый", "set_aside"],
  force_open: ["остановка отправки", "stop sending"],
  force_closed: ["отключение защиты", "protection off"],
  release: ["возврат автоматики", "back to automatic"],
  reset: ["сброс", "reset"],
};

/** What the adapter's refusals mean to a person at this page; those that are not here are shown in the adapter's words. */
const REFUSALS = {
  token_required: "Вход больше не действует: войдите снова.",
  role_not_enough: "Для этого нужен токен оператора.",
  not_found: "Такого документа нет.",
  wrong_state: "Состояние документа уже другое: обновите страницу.",
  nothing_to_send: "Отправлять нечего: фискального документа нет. Закройте его с пометкой.",
  holds_up_nothing: "Этот документ уже ничего не держит.",
  too_many_failures: "Слишком много неверных токенов с этого адреса. Подождите минуту.",
  storage_failed: "Хранилище чеков не работает: см. вверху страницы.",
  kkt_no_answer: "Касса не ответила вовремя.",
  internal_error: "Сбой адаптера: подробности в его журнале.",
};

function choose() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch { /* a browser that keeps nothing */ }
  if (kept === "ru" || kept === "en") return kept;
  return (navigator.languages ?? [navigator.language]).some((one) => /^(ru|be|kk|uk)\b/i.test(one)) ? "ru" : "en";
}

let current = choose();

export const language = () => current;

export function setLanguage(next) {
  current = next;
  try {
    localStorage.setItem(KEPT, next);
  } catch { /* as above */ }
}

/** The text of a key, its values filled in. */
export function t(key, ...values) {
  let text = TEXTS[key]?.[current === "ru" ? 0 : 1] ?? key;
  if (typeof text === "object") {
    const form = new Intl.PluralRules(current).select(Number(values[0]));
    text = text[form] ?? text.other ?? text.many;
  }
  return text.replace(/\{(\d)\}/g, (_, index) => String(values[index] ?? ""));
}

/** Fills in the fixed texts of the page. */
export function translatePage() {
  document.documentElement.lang = current;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of document.querySelectorAll("[data-t-link]")) element.href = t(element.dataset.tLink);
  for (const element of document.querySelectorAll("[data-t-hint]")) element.placeholder = t(element.dataset.tHint);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === current));
  }
}

/** The adapter's own texts in the language of the page; those of devices are «русский / English». */
export function half(text) {
  const match = /^(.*[а-яё].*?) \/ ([^а-яё]+)$/is.exec(text ?? "");
  if (match) return match[current === "ru" ? 1 : 2];
  return current === "ru" ? russian(text ?? "") : text ?? "";
}

/** What was done to a document or a breaker, as the audit names it. */
export const deed = (action) => DEEDS[action]?.[current === "ru" ? 0 : 1] ?? action;

/** Who did it: a person under the name of a token, or the adapter itself. */
export const actor = (name) => (name === "system" ? t("system") : name);

/** Why a command failed. */
export function refused({ status, type, message }) {
  if (status === 0) return t("noConnection");
  return (current === "ru" && REFUSALS[type]) || message;
}

/** A whole number with the language's separators. */
export const number = (value) => new Intl.NumberFormat(current).format(value);

const UNITS = { ru: ["с", "мин", "ч", "дн"], en: ["s", "min", "h", "d"] };

/** A span of time in at most two units. */
export function span(seconds) {
  const units = UNITS[current];
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} ${units[0]}`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 10 && whole % 60) return `${minutes} ${units[1]} ${whole % 60} ${units[0]}`;
  if (minutes < 60) return `${minutes} ${units[1]}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} ${units[2]} ${minutes % 60} ${units[1]}` : `${hours} ${units[2]}`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 10 ? `${days} ${units[3]} ${hours % 24} ${units[2]}` : `${days} ${units[3]}`;
}

/** A size in whole mebibytes or gibibytes, rounded down. */
export function size(bytes) {
  const mib = Math.floor(bytes / 2 ** 20);
  const [value, unit] = mib < 10 * 1024 ? [mib, ["МиБ", "MiB"]] : [Math.floor(mib / 1024), ["ГиБ", "GiB"]];
  return `${number(value)} ${unit[current === "ru" ? 0 : 1]}`;
}

/** A time of day; with the date unless it is today's. */
export function clock(stamp, today = new Date()) {
  const date = new Date(stamp);
  const same = date.toDateString() === today.toDateString();
  const day = same ? {} : { day: "2-digit", month: "2-digit" };
  return new Intl.DateTimeFormat(current, { ...day, hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }).format(date);
}

const STATUS_KEYS = { synced: "synced_", dead: "dead_" };

/** The word of a document's state. */
export const status = (name) => t(STATUS_KEYS[name] ?? name);
