/**
 * Remembers the answers of a pure function, at most `limit` of them; then it forgets all and starts again, which
 * costs less than keeping an order of use and cannot be made to grow by whoever chooses the questions.
 */
export function boundedMemo<Question, Answer>(
  limit: number,
  answer: (question: Question) => Answer,
): (question: Question) => Answer {
  const answers = new Map<Question, Answer>();
  return (question) => {
    const known = answers.get(question);
    if (known !== undefined || answers.has(question)) return known as Answer;
    const found = answer(question);
    if (answers.size >= limit) answers.clear();
    answers.set(question, found);
    return found;
  };
}
